"""`make recount`: one campaign that six providers carry in turn, and every copy of it.

providers  the providers at the wire, each of which stops taking mail once it has its share
copies     every copy as its recipient reads it, whoever carried it, and what is wrong with it
"""
