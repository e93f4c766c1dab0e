"""The fork's host: everything that knows Label Studio's tables, pages and commands."""
