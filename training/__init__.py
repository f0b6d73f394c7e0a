"""Training and validation of detection networks, with a callback at every step.

trainer      a training: its events, epochs, checkpoints, and what goes wrong
validator    a validation of any model that runs, with no need of PyTorch
options      what can be chosen for both
data         datasets: described, read, checked, made
callbacks    callbacks that come with it: early stopping, loggers, a remote session
losses       losses, and which cell is to learn which object
plots        curves, and pictures with what is in them
augment      pictures changed at random; dataset, loader, batch: on their way to the network
steps        losses, gradients, the optimizer's steps; optimizers, ema: their schedule, and the average of the weights
checkpoints  what a training keeps, and folder: where; resume, start: what one goes on, or begins with
mishaps      what may go wrong, how often, and when it is too much
processes    a training over several processes
"""

from framehook.inference.backends.openmp import wait_briefly

wait_briefly()  # before anything here imports PyTorch, whose threads would burn the cores that load pictures
