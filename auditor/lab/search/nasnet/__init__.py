"""NASNet: an LSTM controller, trained by PPO, writes cells."""
