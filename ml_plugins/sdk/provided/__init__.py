"""What backends written for the ML backend SDK import as ``label_studio_ml``: the same names, over our own parts."""
