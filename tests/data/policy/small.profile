# the least a profile needs
[Profile]
Name=small
[Server]
Url=http://127.0.0.1/scep
CaThumbprint=01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67
[Subject]
Name=CN={{DeviceName}} ; O=Contoso
