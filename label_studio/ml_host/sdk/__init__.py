"""What this server gives to backends written for the ML backend SDK: see `ml_plugins.sdk`."""
