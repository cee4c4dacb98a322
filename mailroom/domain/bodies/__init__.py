"""What a mail's bodies are made of: from what a person wrote to the text and the HTML that are stored and sent.

`finish.py` owns the sequence. Each step works on the source of the templates, so that merge fields and conditions stay
as they were written; `masks.py` keeps them out of the steps' way.
"""
