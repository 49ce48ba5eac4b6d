# Run by an image's own shell: `path:` of each file that its dynamic linker reads, and under it what is not found.
command -v find >/dev/null && command -v grep >/dev/null || exit 96
for loader in /lib64/ld-linux-*.so.* /lib/ld-linux*.so.* /lib/ld64.so.* /lib/ld-musl-*.so.*; do
    [ -x "$loader" ] && break
done
[ -x "$loader" ] || exit 96
case $loader in
    *musl*) list() { "$loader" --list "$1"; } ;;
    # As ldd asks it: with --list it ends at the first library that is missing.
    *) list() { LD_TRACE_LOADED_OBJECTS=1 "$loader" "$1"; } ;;
esac
# Not ldd, a script that starts the linker several times for each file.
find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o -type f -size +1k \
    \( -name '*.so' -o -name '*.so.*' -o -perm -100 \) ! -name '*.py' ! -name '*.sh' ! -name '*.js' -print 2>/dev/null \
    | while IFS= read -r path; do
        echo "$path:"
        list "$path" 2>&1
    done | LC_ALL=C grep -aE '^/.*:$|not found|Error loading shared library'
exit 0
