"""DynamoDB where moto is kinder than AWS."""
