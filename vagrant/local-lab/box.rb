# The box's own Vagrantfile: software emulation, with the kernel beside the disk. So the project's stays free of it.
Vagrant.configure("2") do |config|
  here = File.dirname(File.expand_path(__FILE__))
  config.vm.synced_folder ".", "/vagrant", disabled: true
  config.vm.provider :libvirt do |libvirt|
    libvirt.driver = "qemu"
    libvirt.cpu_mode = "custom"
    libvirt.cpu_model = "qemu64"
    libvirt.kernel = File.join(here, "vmlinuz")
    libvirt.initrd = File.join(here, "initrd")
    libvirt.cmd_line = "root=/dev/vda ro console=ttyS0 net.ifnames=0"
    libvirt.graphics_type = "none"
  end
end
