"""Who really sent a mail: SPF, DKIM and DMARC, by asking the DNS, or as a trusted server in front found."""
