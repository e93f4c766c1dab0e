"""Backends written for the official ML backend SDK run in the server as they are: subclasses of `LabelStudioMLBase`.

`sources` says which class it is, without importing it; `namespace` imports its modules, a copy for each loaded model;
`provided` is what they find under the name ``label_studio_ml``; `session` is what an instance of the class reaches:
values, files, calls to the server; `backend` makes a backend of it. What the server brings is the port in `host`.
"""
