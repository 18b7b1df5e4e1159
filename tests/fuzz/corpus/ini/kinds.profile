[Profile]
Name=p
[Server]
Url=https://a/
CaThumbprint=0123456789abcdef0123456789abcdef01234567
[Subject]
Name=CN="Doe, ""J""" + OU=b;O=x
AlternativeName=ip:::1
AlternativeName=dirname:CN={{UserName}}
AlternativeName=guid:{00112233-4455-6677-8899-aabbccddeeff}
AlternativeName=other:1.2.3:a:b
TemplateName=Gerät; # 1
