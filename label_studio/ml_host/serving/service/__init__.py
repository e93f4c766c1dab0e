"""The prediction service: one request with data in, predictions out, nothing stored."""
