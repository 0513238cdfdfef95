"""What an account can see of itself: metrics, alarms, filters over logs."""
