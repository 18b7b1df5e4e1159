[Profile]
Name=p
[Server]
Url=https://a/
CaThumbprint=0123456789abcdef0123456789abcdef01234567
[Subject]
Name = CN=a 
; comment
# another
