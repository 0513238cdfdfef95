"""What a person looks at and does in an account, as plain data: the operations of our console."""
