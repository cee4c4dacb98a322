"""`mailroom up`: everything on one machine, on real embedded servers, watched over until Ctrl-C.

A part that ends by itself is started again. When this process dies, even by `kill -9`, the kernel ends all of them;
started again on the same data folder, everything goes on where it was.
"""
