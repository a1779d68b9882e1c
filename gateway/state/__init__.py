"""What outlives the process: the engine's rows in a file."""
