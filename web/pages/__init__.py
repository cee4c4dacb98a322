"""One blueprint per noun. A view asks for what it shows and renders it; it holds no rule."""
