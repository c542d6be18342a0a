# Goes before every script of a visit. Its first argument is a word that nobody else prints: `say key value` is a line that begins with it.
w=$1
shift
say() { printf '%s %s %s\n' "$w" "$1" "$2"; }
echo
