"""What Slack's events are made of."""
