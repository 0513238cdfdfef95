"""What functions send by the OpenTelemetry protocol, as the collector of AWS's distribution takes it."""
