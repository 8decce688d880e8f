"""What Twilio reports, read piece by piece: `normalizers.phone` puts them together."""
