"""WebSocket APIs: connections, what clients send on them, and what they are sent."""
