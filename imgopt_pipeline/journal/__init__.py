"""What acting on a host stands on: the journal of an action, its steps, locks, and a clock to keep things by.

Nothing here knows what an action does; `deployments`, `migrations` and `cleaning` do. An action has a folder of its
own, named by its ID, with the journal and what it needs to go back.
"""
