"""Groups of runs on devices and processes, round by round."""
