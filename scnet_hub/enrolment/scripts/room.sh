# Checks the place of the session environment, FOLDER NAME: whether it exists and is writable, its free space, its
# content.
d=$1 n=$2
[ -d "$d" ] && say there yes
[ -w "$d" ] && say writable yes
say free "$(df -Pk -- "$d" 2>/dev/null | tail -n 1 | awk '{print $4}')"
[ -L "$d/$n" ] && say leads_to "$(readlink -- "$d/$n")"
[ -e "$d/$n" ] && [ ! -L "$d/$n" ] && say in_the_way yes
say me "$(id -un)"
