# Where the session environment is to go: FOLDER NAME. Is there a place, may we write, what is left, what is there now?
d=$1 n=$2
[ -d "$d" ] && say there yes
[ -w "$d" ] && say writable yes
say free "$(df -Pk -- "$d" 2>/dev/null | tail -n 1 | awk '{print $4}')"
[ -L "$d/$n" ] && say leads_to "$(readlink -- "$d/$n")"
[ -e "$d/$n" ] && [ ! -L "$d/$n" ] && say in_the_way yes
say me "$(id -un)"
