"""Cannot be imported."""

raise RuntimeError('broken in import')
