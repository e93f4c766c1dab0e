"""Everything `label-studio start` runs beside the web server: the private queue, workers, migrations."""
