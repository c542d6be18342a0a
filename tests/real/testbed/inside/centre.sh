#!/bin/bash
# PID 1 of one centre, in fresh mount, uts, ipc and pid namespaces and the centre's network: takes a private copy of the machine's
# files (an overlay on a tmpfs), starts what a login node runs, and waits. Killing it ends everything at the centre.
set -euo pipefail
read -r pid _ </proc/self/stat # /proc is still the outer one: this is our number out there
echo "$pid" >"$SHARE/pid"
. "$SHARE/inside/waiting.sh"
ulimit -n 65536 2>/dev/null || true # some daemons close every number up to the limit: a million takes seconds

own_files() { # upper and work may not lie on the lower file system; pivot_root, so that nsenter lands here too
  mount --make-rprivate /
  local top=$SHARE/files
  mkdir -p "$top"
  mount -t tmpfs -o mode=755 "$LOGIN" "$top"
  mkdir "$top/upper" "$top/work" "$top/root"
  mount -t overlay "$LOGIN" -o "lowerdir=/,upperdir=$top/upper,workdir=$top/work" "$top/root"
  cd "$top/root"
  mount -t proc proc proc
  mount --rbind /sys sys
  mount --rbind /dev dev
  mount -t tmpfs -o mode=1777 shm dev/shm
  mount -t tmpfs -o mode=755 run run
  mount -t tmpfs -o mode=1777 tmp tmp
  mkdir -p run/scnet .old
  mount --bind "$SHARE" run/scnet
  pivot_root . .old
  cd /
  umount -l /.old
}

own_names() {
  hostname "$LOGIN"
  echo "$LOGIN" >/etc/hostname
  echo "$HOSTS" >/etc/hosts
  sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf # no name server is in reach: asking one would only take time
  ln -sf "/usr/share/zoneinfo/$ZONE" /etc/localtime
  echo "$ZONE" >/etc/timezone
}

people() { # password '*': sshd without PAM refuses '!'
  local entry account uid
  install -d /etc/ssh/principals
  for entry in $ACCOUNTS; do
    account=${entry%%:*} uid=${entry##*:}
    groupadd -g "$uid" "$account"
    useradd -m -u "$uid" -g "$uid" -s /bin/bash -p '*' "$account"
    chmod 700 "/home/$account"
    echo "$account" >"/etc/ssh/principals/$account"
  done
}

front_door() {
  rm -rf /etc/ssh/ssh_host_* /etc/ssh/sshd_config.d
  mkdir -p /run/sshd /etc/ssh/sshd_config.d
  install -m 600 /run/scnet/host_key /etc/ssh/ssh_host_ed25519_key
  cat >/etc/ssh/sshd_config <<END
Include /etc/ssh/sshd_config.d/*.conf
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
PermitRootLogin no
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthorizedKeysFile none
MaxSessions 10
MaxStartups 30:30:100
ClientAliveInterval 5
ClientAliveCountMax 2
GatewayPorts clientspecified
StreamLocalBindUnlink yes
END
  "trust_by_$IDENTITY"
  /usr/sbin/sshd
}

trust_by_certificate() {
  install -m 644 /run/scnet/ca.pub /etc/ssh/federation_ca.pub
  cat >>/etc/ssh/sshd_config <<'END'
TrustedUserCAKeys /etc/ssh/federation_ca.pub
AuthorizedPrincipalsFile /etc/ssh/principals/%u
END
}

trust_by_service() { # the federation's account alone signs in, by one key, and may act as the people who agreed
  install -D -m 644 /run/scnet/service.pub /etc/ssh/authorized_keys/scnet
  cat >>/etc/ssh/sshd_config <<'END'
Match User scnet
  AuthorizedKeysFile /etc/ssh/authorized_keys/%u
END
  echo "scnet ALL = ($PEOPLE) NOPASSWD: ALL" >/etc/sudoers.d/scnet
  chmod 440 /etc/sudoers.d/scnet
}

hide_other_schedulers() { # the files are the machine's, but each centre has the commands of its own scheduler only
  local package
  for package in slurm-client gridengine-client oar-user; do
    [ "$package" = "$CLIENT" ] || dpkg -L "$package" 2>/dev/null | grep -E '^/usr/s?bin/.' | xargs -r rm -f || true
  done
}

own_files
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
own_names
people
front_door
hide_other_schedulers
. "/run/scnet/inside/$KIND.sh"
touch /run/scnet/ready
while :; do sleep 3600 & wait $! || true; done # bash as PID 1 also reaps orphans
