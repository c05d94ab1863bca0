# Cloud Storage FUSE, from Google's own packages.
install_gcsfuse() {
  local keys=/usr/share/keyrings/cloud.google.asc
  local list=/etc/apt/sources.list.d/gcsfuse.list
  local packages=https://packages.cloud.google.com/apt
  if command -v gcsfuse >/dev/null; then return; fi
  curl --fail --silent --show-error "$packages/doc/apt-key.gpg" |
    sudo tee "$keys" >/dev/null || return 1
  echo "deb [signed-by=$keys] $packages gcsfuse-$(lsb_release -cs) main" |
    sudo tee "$list" >/dev/null || return 1
  # A machine that has just started may still hold the lock of apt.
  sudo apt-get -qq -o DPkg::Lock::Timeout=600 update &&
    sudo apt-get -qq -o DPkg::Lock::Timeout=600 --yes install gcsfuse
}

# Mount as the user who runs the launcher: no other user sees the folder.
mount_bucket() {
  if mountpoint --quiet "$bucket_folder"; then return; fi
  # A mount whose process has died is in the way.
  sudo umount --lazy "$bucket_folder" 2>/dev/null || true
  sudo mkdir --parents "$bucket_folder" &&
    sudo chown "$(id -u):$(id -g)" "$bucket_folder" &&
    gcsfuse "${gcsfuse_flags[@]}" "$bucket" "$bucket_folder"
}
