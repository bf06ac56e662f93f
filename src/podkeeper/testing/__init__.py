"""What tests of podkeeper and of programs on it need: fake clock, scripted runtime, API server fixture."""
