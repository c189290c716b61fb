"""Operations on trained nets: other shapes, other names, other weights, sliding windows."""
