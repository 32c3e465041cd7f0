"""All of the mathematics: parameters, layers, losses, optimizers, schedules, the graph, the net."""
