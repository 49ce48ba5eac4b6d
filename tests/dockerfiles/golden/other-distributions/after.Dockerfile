FROM rockylinux:9
RUN dnf -y install epel-release && \
    dnf -y install python3.11 python3.11-pip && \
    dnf clean all
RUN microdnf install -y tar && microdnf clean all; yum install -y unzip && yum clean all
RUN pip3.11 install --no-cache-dir ansible-core
CMD ["ansible"]
