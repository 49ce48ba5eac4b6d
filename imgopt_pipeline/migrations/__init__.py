"""Moving a folder of data to another file system without the possibility of losing a file.

Belongs here: looking before, the ledger of what is where, copying, reading back, setting the source aside and, much
later, deleting it; packed backups and archives. Each function can be called again from wherever a crash left it.
What must not stand here: a second way to delete. Only `setting_aside` and `archiving` delete originals, after they
have read both sides.
"""
