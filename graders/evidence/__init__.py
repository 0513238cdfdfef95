"""What a finding rests on: AWS answers read carefully, secrets kept out."""
