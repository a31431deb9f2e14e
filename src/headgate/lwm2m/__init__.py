"""LwM2M as a server speaks it: endpoints, registrations, objects and resources.

server          one way in: datagrams, commands and confirmations; what happened comes out
happenings      what comes from devices
commands        what is asked of them
registration    what a device said of itself, and where it is
objects         the data types of the resources that we read and write
settings        how long to wait, how much to keep

registry        the registration interface and Send
parameters      what a Register or Update says
devices         all devices, by endpoint, location and address
queue           the commands of each device, one at a time
presence        when it can be reached
asked           one command until its answer
operations      commands as requests, answers as values
formats         which content format to try
observations    tokens and the order of notifications
sharing         equal values, kept once
"""
