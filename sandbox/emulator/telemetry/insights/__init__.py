"""CloudWatch Logs Insights: queries read, evaluated, and answered as AWS answers them."""
