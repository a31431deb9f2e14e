Demo = object
