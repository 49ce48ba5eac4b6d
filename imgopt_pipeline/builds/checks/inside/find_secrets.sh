# Run by an image's own shell: paths of the files whose name is that of a keeper of secrets.
command -v find >/dev/null || exit 96
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /usr/share -o -name node_modules -o -name site-packages \
    -o -name dist-packages -o -path /etc/ssl \) -prune -o -type f \( -name .env -o -name '.env.*' -o -name 'id_rsa*' \
    -o -name 'id_ed25519*' -o -name 'id_ecdsa*' -o -name 'id_dsa*' -o -name .npmrc -o -name .pypirc -o -name pip.conf \
    -o -name .netrc -o -name .pgpass -o -name '.yarnrc*' -o -name .git-credentials -o -name 'credentials' -o -name auth.json \
    -o -name '*.pem' -o -name '*.key' -o -name '*.p12' -o -name '*.pfx' -o -name '*.kdbx' -o -name '*.secret' \
    -o -path '*/.docker/config.json' -o -path '*/.kube/config' -o -path '/run/secrets/*' \) -print 2>/dev/null
exit 0
