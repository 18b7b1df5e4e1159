"""The parts that 'lab' starts and stops."""
