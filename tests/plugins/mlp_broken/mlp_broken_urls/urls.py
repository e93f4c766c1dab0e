raise RuntimeError('broken in urls')
