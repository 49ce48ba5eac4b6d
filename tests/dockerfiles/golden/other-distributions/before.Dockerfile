FROM rockylinux:9
RUN dnf -y install epel-release && \
    dnf -y install python3.11 python3.11-pip
RUN microdnf install -y tar; yum install -y unzip && yum clean all
RUN pip3.11 install ansible-core
CMD ["ansible"]
