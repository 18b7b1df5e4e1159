"""An NDES-like SCEP responder with its CA, for the lab. It shares no code with the client."""
