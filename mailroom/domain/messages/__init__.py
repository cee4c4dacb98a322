"""Messages: one mail to one recipient each.

model.py          a message as planned and as stored        states.py         its states, and every move
event_effects.py  what a provider's event changes           machine_opens.py  opens by proxies count apart
"""
