"""Does a stated probability come true as often as it says?"""
