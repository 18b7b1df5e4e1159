[Profile]
Name=corp-wifi
Type=device

[Server]
Url=https://ndes.contoso.com/certsrv/mscep/mscep.dll
Url=https://ndes2.contoso.com/certsrv/mscep/mscep.dll
RootCertificate=/etc/ssl/certs/contoso-root.pem
CaThumbprint=0123456789abcdef0123456789abcdef01234567
Challenge=credential:scepter.challenge.corp
ChallengeReusable=yes
CaIdentifier=contoso
PkiClientSuffix=no
RequireCaps=AES SHA-256
AllowLegacy=des sha1
Proxy=http://proxy.contoso.com:3128
CaBundle=/etc/ssl/certs/ca-certificates.crt
ClientCertificate=/etc/scepter/client.pem
FollowRollover=yes
PendingLimit=36h

[Key]
Protection=tpm
Algorithm=ec-p256
ReuseAtRenewal=yes
AllowDowngrade=yes
Groups=www-data mail

[Subject]
Name=CN={{DeviceName}},O="Contoso, Ltd."
AlternativeName=dns:{{DeviceName}}.contoso.com
AlternativeName=upn:{{DeviceName}}@contoso.com
KeyUsage=digitalSignature keyAgreement
ExtendedKeyUsage=1.3.6.1.5.5.7.3.2
ExtendedKeyUsage=1.3.6.1.5.5.7.3.1
Hash=sha-256
Validity=1 years
TemplateName=1.3.6.1.4.1.311.21.8.1

[Renewal]
Threshold=30
Method=signed-pkcsreq
RetryCount=10
RetryDelay=2
AfterExpiry=enroll
