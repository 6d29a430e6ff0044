# Applies Debian's patches to the tree at $out, but for those that $skip names.
series=$out/debian/patches/series
test ! -e "$series" || while read -r name options; do
    case $name in "" | "#"*) continue ;; esac
    case " $skip " in *" $name "*) continue ;; esac
    echo "patch $name"
    patch -d "$out" -p1 --no-backup-if-mismatch -i "debian/patches/$name"
done <"$series"
