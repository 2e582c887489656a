"""Pictures of networks and of their training, with matplotlib: ``pip install 'fastbp[plot]'``.

=======================  ===================================================================