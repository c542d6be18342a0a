# Put before every script of a visit. Its first argument is a word that no other program prints: `say key value` prints
# a line that begins with this word.
w=$1
shift
say() { printf '%s %s %s\n' "$w" "$1" "$2"; }
echo
